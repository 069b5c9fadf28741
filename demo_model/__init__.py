"""How the demo's network was drawn for, trained and exported."""
