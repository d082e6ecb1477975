"""The files of the keys folder: secrets of numbers, and keys of recordings and of evidence."""
