"""Explanations of predictions: exact SHAP values of tree ensembles, computed from the ONNX file."""
