"""The artifact: manifest, folder, shelf, single file, signature."""
