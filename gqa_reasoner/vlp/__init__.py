"""The vision-language family: recipes on the trunk, retrieval and captioning on photographs."""
