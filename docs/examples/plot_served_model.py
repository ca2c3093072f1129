"""
A served model
==============

This example trains a pipeline, saves it to a file, loads it in a server, and asks the server for
the prediction of one row at a time. The server is ``http.server`` of Python's standard library.
The picture shows the time of a request.
"""

# %%
# Train and save
# --------------
# The pipeline has all steps for a row: the coding of the categories, and the network. This example
# saves it by joblib. skops is another way: its files run no code when they are loaded
# (:doc:`/guide/saving`).

import json
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skbn import MLPWithBatchNormRegressor

rng = np.random.default_rng(0)
flats = pd.DataFrame(
    {
        "area": rng.lognormal(4.2, 0.4, 3000),
        "floor": rng.integers(0, 9, 3000),
        "town": rng.choice(["Ashby", "Brook", "Cole"], 3000),
    }
)
rents = flats["area"] * flats["town"].map({"Ashby": 9.0, "Brook": 12.0, "Cole": 15.0})
rents = rents + 8.0 * flats["floor"]

model = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["town"]),
        remainder="passthrough",
    ),
    MLPWithBatchNormRegressor(random_state=0),
).fit(flats, rents)

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "rents.joblib"
joblib.dump(model, file)
print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")

# %%
# Serve
# -----
# The server loads the file once. The network checks its fitted state as a whole before the
# first prediction. Load only files that you trust: joblib files are pickles, which can run
# code.


class Rents(BaseHTTPRequestHandler):
    """POST a flat as JSON, get its rent, or the fault of the request."""

    model = joblib.load(file)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            (rent,) = self.model.predict(pd.DataFrame([json.loads(body)]))
            status, answer = 200, {"rent": round(float(rent), 2)}
        except ValueError as error:
            status, answer = 400, {"error": str(error)}
        answer = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Rents)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"


def ask(flat):
    """The rent that the server names for one flat, or its complaint."""
    try:
        with urllib.request.urlopen(address, data=json.dumps(flat).encode()) as answer:
            return json.load(answer)["rent"]
    except urllib.error.HTTPError as error:
        with error:
            return f"status {error.code}: {json.load(error)['error']}"


print("rent of 70 square metres in Brook, third floor:", end=" ")
print(ask({"area": 70.0, "floor": 3, "town": "Brook"}), "(840 + 24 by the formula)")
print("a flat without a town:", ask({"area": 70.0, "floor": 3}))

# %%
# How long a request takes
# ------------------------
# The network alone answers one row in a fraction of a millisecond. The table of pandas and the
# coding of the categories take most of the time of the pipeline.


def microseconds(call, n=200):
    """The times of `n` calls."""
    times = []
    for _ in range(n):
        start = time.perf_counter()
        call()
        times.append(1e6 * (time.perf_counter() - start))
    return times


row = flats.iloc[[0]]
coded = model[0].transform(row)
one = {"area": 70.0, "floor": 3, "town": "Brook"}
times = {
    "network": microseconds(lambda: model[1].predict(coded)),
    "pipeline": microseconds(lambda: model.predict(row)),
    "request": microseconds(lambda: ask(one)),
}
server.shutdown()
server.server_close()
folder.cleanup()

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.boxplot(list(times.values()), orientation="horizontal", tick_labels=list(times), whis=(5, 95))
axes.set_xscale("log")
axes.set_xlabel("microseconds for one row (box: half of the calls, whiskers: 90 %)")
plt.show()
