"""Pretrained models of others: what they make of texts and pictures, for networks that stand on them."""
