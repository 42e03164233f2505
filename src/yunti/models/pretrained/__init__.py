"""Pretrained models of others: what they make of texts, pictures and sounds, frozen or learning on."""
