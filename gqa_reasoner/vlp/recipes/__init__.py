"""The ten systems as YAML files; `recipe.load_recipe` reads them by name."""
