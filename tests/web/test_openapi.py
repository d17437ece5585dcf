"""The OpenAPI toolkit."""

from __future__ import annotations

from pydantic import BaseModel, Field

from phospho_web.openapi import Api, Operation, Problems, document, list_of, part_of

API = Api("An API", "For a test.", Problems({400: "Bad.", 413: "Too large."}), prefix="/api")


class Size(BaseModel):
    width: int


class Parcel(BaseModel):
    name: str
    weight: float = Field(0.0, ge=0, description="in kg")
    size: Size | None = None


def test_document_collects_models_and_those_inside_them() -> None:
    content = document(API, [Operation("get", "/parcels", "Parcels", list_of("parcels", Parcel))])

    operation = content["paths"]["/api/parcels"]["get"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert operation["operationId"] == "get_parcels"
    assert answer["properties"]["parcels"]["items"] == {"$ref": "#/components/schemas/Parcel"}
    assert set(content["components"]["schemas"]) == {"Parcel", "Size", "ErrorBody", "Error"}


def test_operation_without_a_body_is_not_refused_for_one() -> None:
    reading, writing = Operation("get", "/a", "Read"), Operation("post", "/a", "Write", body=Parcel)
    methods = document(API, [reading, writing])["paths"]["/api/a"]

    assert set(methods["get"]["responses"]) == {"200", "400"}
    assert set(methods["post"]["responses"]) == {"200", "400", "413"}
    assert methods["post"]["requestBody"]["required"]


def test_open_operation_has_neither_key_nor_problems() -> None:
    operation = document(API, [Operation("get", "/health", "Health", is_open=True)])["paths"]["/api/health"]["get"]

    assert operation["security"] == []
    assert set(operation["responses"]) == {"200"}


def test_further_answer_stands_beside_the_problem_of_its_status() -> None:
    operation = Operation("post", "/a", "Write", body=Parcel, also={400: Size, 202: Parcel})
    responses = document(API, [operation])["paths"]["/api/a"]["post"]["responses"]

    both = responses["400"]["content"]["application/json"]["schema"]["anyOf"]
    assert both == [{"$ref": "#/components/schemas/ErrorBody"}, {"$ref": "#/components/schemas/Size"}]
    assert responses["202"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Parcel"}


def test_part_of_a_model_keeps_bounds_and_descriptions() -> None:
    part = part_of(Parcel, "Weighed", ["weight"], required=["weight"])

    schema = part.model_json_schema()
    assert schema["required"] == ["weight"]
    assert set(schema["properties"]) == {"weight"}
    assert schema["properties"]["weight"]["minimum"] == 0
    assert schema["properties"]["weight"]["description"] == "in kg"
