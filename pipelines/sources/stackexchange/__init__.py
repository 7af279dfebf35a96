"""Stack Exchange's dumps: questions with their answers."""
