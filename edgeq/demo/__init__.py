"""The demo project: drawn livestock paddocks, a small trained network and a recipe for both."""
