"""Action recognition by averaging frames: recogniser, rolling average, segment machine."""
