"""Dead letters: `envelope` is what one looks like, `admin` what people do with them."""
