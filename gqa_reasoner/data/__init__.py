"""GQA's files: questions, scene graphs and choices, streamed and written back without loss."""
