"""How programs reach a system: `memory` speaks, and a transport carries it."""
