"""Records to figures: GQA metrics, submissions, retrieval and caption metrics, significance."""
