from shop.defaults import DEFAULT_PAGE_SIZE  # no such module
