"""Operations of a network, a file each, and the registry that leads to them."""
