"""``measure-generated``: whether made pictures copy those that a model learnt from, and whom they show."""
