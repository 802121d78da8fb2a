"""The agent: the policy network, its training, the systems that answer, and how well they do."""
