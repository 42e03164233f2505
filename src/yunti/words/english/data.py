"""What is said about data: how they were read, understood and divided, and what is wrong with them."""

DATA = {
    "split.by column": "by column {column!r}",
}
