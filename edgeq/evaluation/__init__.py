"""From predictions and annotations to accuracy, its loss with an interval, and divergence."""
