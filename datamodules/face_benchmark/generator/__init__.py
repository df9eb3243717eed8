"""Questions made from labelled faces, none of which can be answered without looking."""
