"""From scores of frames to segments with times: averages, the segment machine, files, measures."""
