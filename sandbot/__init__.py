"""The commands a person types. They wire the rooms and hold no logic of their own."""
