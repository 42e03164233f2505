"""From a model and a dataset to a trained model: one verb, `train`, for estimators and networks."""
