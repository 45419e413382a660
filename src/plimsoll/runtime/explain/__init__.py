"""Why a model said what it said: exact SHAP values of tree ensembles, from the ONNX file alone."""
