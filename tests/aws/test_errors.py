"""What AWS's errors say to the user: what is wrong, where, and what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

from exporter.aws.calls import Call
from exporter.aws.errors import source_error
from exporter.model import SourceError

CALL = Call("logs", "FilterLogEvents", "111122223333", "eu-west-1", "log group /app")
UNKNOWN_ACCOUNT = Call("sts", "GetCallerIdentity", "", "eu-west-1")


def _answer(code: str, message: str = "Some words.") -> botocore.ClientError:
    return botocore.ClientError({"Error": {"Code": code, "Message": message}}, "FilterLogEvents")


@pytest.mark.parametrize(
    ("error", "reason", "advice"),
    [
        (_answer("AccessDeniedException"), "access_denied", "allow logs:FilterLogEvents"),
        (_answer("AccessDenied"), "access_denied", "IAM policy"),
        (_answer("ThrottlingException"), "throttled", "raise the interval"),
        (_answer("ExpiredTokenException"), "expired_credentials", "renew them"),
        (_answer("UnrecognizedClientException"), "region_disabled", "enable region eu-west-1"),
        (_answer("OptInRequired"), "region_disabled", "enable region eu-west-1"),
        (_answer("InvalidSignatureException"), "no_credentials", "clock"),
        (_answer("ResourceNotFoundException"), "not_found", "misspelt"),
        (_answer("InvalidParameterException"), "invalid_request", "check"),
        (_answer("InvalidNextTokenException"), "error", "tried again"),
        (_answer("InternalFailure"), "error", "tried again"),
        (_answer(""), "error", "tried again"),
        (botocore.NoCredentialsError(), "no_credentials", "AWS_PROFILE"),
        (botocore.UnauthorizedSSOTokenError(), "expired_credentials", "aws sso login"),
        (
            botocore.EndpointConnectionError(endpoint_url="https://logs.eu-west-1.amazonaws.com"),
            "unreachable",
            "check the region's name",
        ),
        (ResponseParserError("Unable to parse: <html>private</html>"), "unreachable", "proxy"),
        (botocore.ReadTimeoutError(endpoint_url="https://x"), "unreachable", "VPC endpoint"),
        (botocore.InvalidRegionError(region_name="a b"), "invalid_request", "regions"),
        (botocore.ParamValidationError(report="no"), "invalid_request", "check"),
    ],
)
def test_each_error_has_its_reason_and_advice(error: Exception, reason: str, advice: str) -> None:
    found = source_error(error, CALL)

    assert found.reason == reason
    assert "logs:FilterLogEvents on log group /app" in str(found)
    assert "account 111122223333, region eu-west-1" in str(found)
    assert advice in str(found)
    assert str(found).endswith(".")
    assert "private" not in str(found)


def test_unknown_credentials_are_told_from_a_disabled_region() -> None:
    found = source_error(_answer("InvalidClientTokenId"), UNKNOWN_ACCOUNT)

    assert found.reason == "no_credentials"
    assert "does not know the access key" in str(found)
    assert "account" not in str(found).partition(" failed ")[0]


def test_long_messages_are_cut_and_come_on_one_line() -> None:
    found = str(source_error(_answer("AccessDenied", "Encoded\n message: " + "x" * 5000), CALL))

    assert "Encoded message" in found
    assert len(found) < 700


def test_a_source_error_stays_as_it_is() -> None:
    error = SourceError("The exporter is stopping.", reason="stopping")

    assert source_error(error, CALL) is error
