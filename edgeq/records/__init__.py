"""What edgeq writes: frozen records, no logic beyond what a field means."""
