"""The globals that a pickle of a model may name: classes and functions that build arrays, tensors and estimators.

A list of what is good, because a list of what is bad is never complete. What is not here is refused by name, and a
project that has reviewed it can allow it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

_BUILTINS = frozenset({"bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object"})
_MORE_BUILTINS = frozenset({"range", "set", "slice", "str", "tuple"})
_NUMPY_BUILDERS = frozenset({"_reconstruct", "scalar", "_frombuffer"})
_SCALARS = frozenset(
    {"bool", "bool_", "complex128", "complex64", "dtype", "float16", "float32", "float64", "int16", "int32", "int64"}
    | {"int8", "ndarray", "str_", "uint16", "uint32", "uint64", "uint8"}
)
_STORAGES = frozenset(
    f"{kind}Storage"
    for kind in ("BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short", "Untyped")
)
_REBUILDERS = frozenset(
    {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_qtensor", "_rebuild_sparse_tensor"}
)
_DTYPES = frozenset(
    {"bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint8", "Size", "device"}
)

ALLOWED: Mapping[str, Collection[str]] = MappingProxyType(
    {
        "builtins": _BUILTINS | _MORE_BUILTINS,
        "__builtin__": _BUILTINS | _MORE_BUILTINS | {"long", "unicode"},
        # Of the texts of protocol 2; its other codecs are harmless too: none of them runs anything.
        "_codecs": {"encode"},
        "collections": {"OrderedDict", "defaultdict", "deque"},
        "copy_reg": {"_reconstructor"},
        "copyreg": {"_reconstructor"},
        "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
        "decimal": {"Decimal"},
        "fractions": {"Fraction"},
        "joblib.numpy_pickle": {"NumpyArrayWrapper"},
        "numpy": _SCALARS,
        "numpy._core.multiarray": _NUMPY_BUILDERS,
        "numpy.core.multiarray": _NUMPY_BUILDERS,
        "numpy._core.numeric": {"_frombuffer"},
        "numpy.core.numeric": {"_frombuffer"},
        "numpy.random._pickle": {"__randomstate_ctor", "__bit_generator_ctor", "__generator_ctor"},
        "numpy.random._mt19937": {"MT19937"},
        "numpy.random._pcg64": {"PCG64"},
        "scipy.sparse._csr": {"csr_matrix", "csr_array"},
        "scipy.sparse._csc": {"csc_matrix", "csc_array"},
        "torch": _STORAGES | _DTYPES,
        "torch._utils": _REBUILDERS,
        "torch.storage": {"UntypedStorage", "TypedStorage"},
        "torch.nn.parameter": {"Parameter"},
        "uuid": {"UUID"},
        "xgboost.core": {"Booster"},
        "xgboost.sklearn": {"XGBClassifier", "XGBRegressor", "XGBRanker", "XGBModel"},
        "lightgbm.basic": {"Booster"},
        "lightgbm.sklearn": {"LGBMClassifier", "LGBMRegressor", "LGBMRanker", "LGBMModel"},
        "sklearn._loss._loss": {"CyHalfBinomialLoss", "CyHalfMultinomialLoss", "CyHalfSquaredError", "CyPinballLoss"},
        "sklearn._loss.link": {"IdentityLink", "Interval", "LogitLink", "LogLink", "MultinomialLogit"},
        "sklearn._loss.loss": {"HalfBinomialLoss", "HalfMultinomialLoss", "HalfSquaredError", "AbsoluteError"},
        "sklearn.compose._column_transformer": {"ColumnTransformer", "_RemainderColsList"},
        "sklearn.decomposition._pca": {"PCA"},
        "sklearn.decomposition._truncated_svd": {"TruncatedSVD"},
        "sklearn.dummy": {"DummyClassifier", "DummyRegressor"},
        "sklearn.ensemble._forest": {
            "ExtraTreesClassifier",
            "ExtraTreesRegressor",
            "RandomForestClassifier",
            "RandomForestRegressor",
        },
        "sklearn.ensemble._gb": {"GradientBoostingClassifier", "GradientBoostingRegressor"},
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": {
            "HistGradientBoostingClassifier",
            "HistGradientBoostingRegressor",
        },
        "sklearn.ensemble._hist_gradient_boosting.binning": {"_BinMapper"},
        "sklearn.ensemble._hist_gradient_boosting.predictor": {"TreePredictor"},
        "sklearn.ensemble._iforest": {"IsolationForest"},
        "sklearn.feature_extraction.text": {
            "CountVectorizer",
            "HashingVectorizer",
            "TfidfTransformer",
            "TfidfVectorizer",
        },
        "sklearn.impute._base": {"SimpleImputer"},
        "sklearn.linear_model._base": {"LinearRegression"},
        "sklearn.linear_model._coordinate_descent": {"ElasticNet", "Lasso"},
        "sklearn.linear_model._logistic": {"LogisticRegression", "LogisticRegressionCV"},
        "sklearn.linear_model._ridge": {"Ridge", "RidgeClassifier"},
        "sklearn.linear_model._stochastic_gradient": {"SGDClassifier", "SGDRegressor"},
        "sklearn.naive_bayes": {"BernoulliNB", "GaussianNB", "MultinomialNB"},
        "sklearn.pipeline": {"FeatureUnion", "Pipeline"},
        "sklearn.preprocessing._data": {"MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"},
        "sklearn.preprocessing._encoders": {"OneHotEncoder", "OrdinalEncoder"},
        "sklearn.preprocessing._label": {"LabelBinarizer", "LabelEncoder"},
        "sklearn.svm._classes": {"LinearSVC", "LinearSVR", "SVC", "SVR"},
        "sklearn.tree._classes": {
            "DecisionTreeClassifier",
            "DecisionTreeRegressor",
            "ExtraTreeClassifier",
            "ExtraTreeRegressor",
        },
        "sklearn.tree._tree": {"Tree"},
    }
)


def is_allowed_global(module: str, name: str, more: Collection[str] = ()) -> bool:
    """Whether a pickle may name `module.name`. A dotted name leads through attributes, and never is."""
    return "." not in name and (name in ALLOWED.get(module, ()) or f"{module}.{name}" in more)
