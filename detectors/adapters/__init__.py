"""Other people's detectors behind our protocol `detect(images) -> list[Scene]`."""
