"""Links, and what several of their tests share."""
