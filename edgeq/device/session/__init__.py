"""The conversation with the agent, and how the agent gets there."""
