"""Question answering over a folder of pictures: an index, and questions compiled to SQL."""
