"""What trained folds say: of new videos, and of the classes in words."""
