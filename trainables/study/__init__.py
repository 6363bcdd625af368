"""What a study is, and how it lies on disk. No torch and no Ray here."""
