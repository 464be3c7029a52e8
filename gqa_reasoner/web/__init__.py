"""The web page and its JSON interface over one indexed collection: `gqa-reasoner serve`."""
