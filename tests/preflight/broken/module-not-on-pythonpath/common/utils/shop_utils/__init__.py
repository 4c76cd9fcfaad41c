"""What all share."""

NAME = "shop"
