"""A web application that is small and real."""

import flask

application = flask.Flask(__name__)


@application.get("/")
def root() -> str:
    return f"served by flask as {flask.request.headers['Host']}\n"
