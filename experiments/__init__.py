"""Programs that answer a question about the method with numbers; docs/decisions/ has what they printed."""
