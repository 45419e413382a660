import sys

import numpy as np
from saving import refused, save
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

out = sys.argv[1]
random = np.random.default_rng(0)
x = random.normal(size=(400, 6)).astype(np.float32)
y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int) + (x[:, 3] > 1)
rows = x[:50]
flat = {"zipmap": False}
tensor = [("x", FloatTensorType([None, 6]))]

for name, model in {
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": RandomForestClassifier(20, random_state=0),
    "support-vectors": SVC(probability=True, random_state=0),
}.items():
    model.fit(x, y)
    converted = to_onnx(model, initial_types=tensor, options={id(model): flat}, target_opset=17)
    save(
        f"{out}/{name}",
        converted.SerializeToString(),
        {"x": rows},
        {"label": model.predict(rows), "probabilities": model.predict_proba(rows)},
    )

boosted = GradientBoostingRegressor(n_estimators=30, random_state=0).fit(x, x[:, 0] * 2)
converted = to_onnx(boosted, initial_types=tensor, target_opset=17)
save(f"{out}/boosted", converted.SerializeToString(), {"x": rows}, {"variable": boosted.predict(rows).reshape(-1, 1)})

texts = np.array(["hose leaking", "engine oil low", "tooth broken", "hose broken", "oil leaking"] * 20)
labels = np.array([0, 1, 2, 2, 0] * 20)
model = make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression()).fit(texts, labels)
converted = to_onnx(
    model, initial_types=[("text", StringTensorType([None, 1]))], options={id(model): flat}, target_opset=17
)
some = texts[:10]
save(
    f"{out}/text",
    converted.SerializeToString(),
    {"text": some.reshape(-1, 1)},
    {"label": model.predict(some), "probabilities": model.predict_proba(some)},
)

histogram = HistGradientBoostingRegressor(max_iter=5, random_state=0).fit(x, x[:, 0] * 2)
refused(out, "HistGradientBoosting", lambda: to_onnx(histogram, initial_types=tensor, target_opset=17))
own = make_pipeline(FunctionTransformer(lambda a: a * 2), LogisticRegression()).fit(x, y)
refused(out, "a FunctionTransformer of your own Python", lambda: to_onnx(own, initial_types=tensor))
