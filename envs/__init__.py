"""The search as a Gymnasium environment: what is known of a question, actions, reward, observation."""
