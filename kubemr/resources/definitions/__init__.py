"""The definitions: one attrs class per object of the API, in the order in which a user meets them."""
