"""The folder of keys, for whoever keeps some there: secrets of numbers, of recordings, of evidence."""
