import sys

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return {"hello": "from Python"}


if __name__ == "__main__":
    if "--check" in sys.argv:
        print(app.test_client().get("/").get_data(as_text=True).strip())
    else:
        app.run(host="0.0.0.0", port=8000)
