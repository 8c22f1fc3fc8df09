"""Translates AWS's errors to messages and reasons."""

from __future__ import annotations

from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

from exporter.aws.answers import UNREADABLE
from exporter.aws.calls import Call
from exporter.aws.transport import CutOffError
from exporter.model import SourceError

AWS_ERRORS = (botocore.ClientError, botocore.BotoCoreError, ResponseParserError)
"""The errors that a client's call may raise."""

_MESSAGE_LENGTH = 300
"""AWS's messages begin with ARN and action; some also have an encoded policy of kilobytes."""

_REASONS: dict[str, frozenset[str]] = {
    "throttled": frozenset(
        {
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "LimitExceededException",
            "BandwidthLimitExceeded",
            "PriorRequestNotComplete",
            "SlowDown",
            "OverLimit",
        }
    ),
    "access_denied": frozenset(
        {
            "AccessDenied",
            "AccessDeniedException",
            "AuthorizationError",
            "AuthorizationErrorException",
            "KMS.AccessDeniedException",
            "KmsAccessDenied",
            "OperationNotPermittedException",
            "UnauthorizedOperation",
        }
    ),
    "expired_credentials": frozenset(
        {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
    ),
    "archived": frozenset({"InvalidObjectState"}),
    "region_disabled": frozenset({"OptInRequired", "RegionDisabledException"}),
    "unreadable": frozenset({UNREADABLE}),
    # The configuration has no part in it: the next poll begins without a token.
    "error": frozenset({"InvalidNextTokenException"}),
}
_REFUSED_CREDENTIALS = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"}
)
_REFUSED_SIGNATURE = frozenset(
    {
        "IncompleteSignature",
        "InvalidSignatureException",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_KMS = ("KMS.", "Kms")
_EXPIRED = (
    botocore.SSOError,
    botocore.LoginError,
    botocore.TokenRetrievalError,
    botocore.RefreshWithMFAUnsupportedError,
)
_NO_CREDENTIALS = (
    botocore.NoCredentialsError,
    botocore.PartialCredentialsError,
    botocore.CredentialRetrievalError,
    botocore.NoAuthTokenError,
    botocore.MetadataRetrievalError,
    botocore.UnknownCredentialError,
)
_UNREACHABLE = (
    botocore.HTTPClientError,
    botocore.ConnectionError,
    botocore.IncompleteReadError,
    ResponseParserError,  # for example, a proxy's page
)
_INVALID = (
    botocore.InvalidRegionError,
    botocore.NoRegionError,
    botocore.ParamValidationError,
    botocore.UnknownEndpointError,
    botocore.UnknownRegionError,
)


_ADVICE = {
    "throttled": "other tools use up the account's quota for {0.operation}: raise the interval, or"
    " reduce the calls of other tools; it is tried again",
    "access_denied": "allow {0.service}:{0.operation} in the IAM policy of the exporter's identity",
    "expired_credentials": "the credentials have expired: renew them (a role or `aws sso login`);"
    " it is tried again",
    "no_credentials": "give the exporter credentials: a role (IRSA, instance profile, task role),"
    " AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "unreachable": "check the region's name, DNS, proxy, VPC endpoint and AWS_ENDPOINT_URL; it is"
    " tried again",
    "region_disabled": "enable region {0.region} for the account, or take it out of the source's"
    " `regions`",
    "invalid_request": "check the source's `regions` and names",
    "unreadable": "the answer is not from AWS: check if a proxy answers for AWS; it is tried again",
    "not_found": "it was deleted, or its name is misspelt",
    "archived": "the object is archived: restore it; if a queue names it, send the message again",
    "error": "it is tried again",
}
"""Advice by reason, formatted with the Call."""


def error_code(error: BaseException) -> str:
    """AWS's error code (``ThrottlingException``), or the error's class if AWS did not answer."""
    if isinstance(error, botocore.ClientError):
        return str(error.response.get("Error", {}).get("Code") or "Unknown")
    return type(error).__name__


def code_reason(code: str, *, account_id: str = "") -> str:
    """The reason for an AWS error code (see SourceError.reason).

    In a region that is not enabled for the account, AWS answers as if the credentials were unknown.
    If they work elsewhere, which an ``account_id`` shows, the region is the reason.
    """
    for reason, codes in _REASONS.items():
        if code in codes:
            return reason
    if code in _REFUSED_CREDENTIALS:
        return "region_disabled" if account_id else "no_credentials"
    if code in _REFUSED_SIGNATURE:
        return "no_credentials"
    if "NotFound" in code or code.startswith("NoSuch") or code in _NO_QUEUE:
        return "not_found"
    if code.startswith("Invalid") or code in ("ValidationException", "ValidationError"):
        return "invalid_request"
    return "error"


def source_error(error: BaseException, call: Call) -> SourceError:
    """The SourceError for an error that botocore raised.

    A SourceError (a wait for a quota was ended) is returned unchanged.
    """
    if isinstance(error, SourceError):
        return error
    cause = cut_off(error)
    if cause is not None:
        return SourceError(f"{call} {cause}; it is tried again.", reason=cause.reason)
    code = error_code(error)
    reason = _reason(error, code, call)
    advice = _advice(error, reason, call)
    if code in _REFUSED_SIGNATURE:
        advice = "check the machine's clock and the secret access key"
    elif code.startswith(_KMS):
        advice = (
            f"the key that encrypts {call.resource or 'it'} refuses: allow kms:Decrypt in the key's"
            " policy and in the IAM policy of the exporter's identity, and check that the key is"
            " enabled; it is tried again"
        )
    elif code in _REFUSED_CREDENTIALS and reason == "no_credentials":
        advice = "AWS does not know the access key, or the region is not enabled: check both"
    return SourceError(f"{call} failed with {_said(error, code)}; {advice}.", reason=reason)


def _advice(error: BaseException, reason: str, call: Call) -> str:
    """What to do about an error."""
    if call.operation == "AssumeRole" and reason == "access_denied":
        return (
            "allow sts:AssumeRole on the role in the IAM policy of the exporter's identity, and"
            " the exporter's identity in the role's trust policy, with the external id that the"
            " source names; a suspended account denies it, too"
        )
    if call.service == "organizations" and reason == "access_denied":
        return (
            f"allow {call.service}:{call.operation} in the IAM policy of the exporter's identity,"
            " which must be in the management account or in one with delegated administration"
        )
    if call.operation == "GetObject":
        if reason == "access_denied" and "kms" in str(error).lower():
            return (
                "allow kms:Decrypt in the policy of the bucket's key and in the IAM policy of the"
                " exporter's identity"
            )
        if reason == "access_denied":
            return (
                "allow s3:GetObject in the IAM policy of the exporter's identity and in the"
                " bucket's policy; the bucket must belong to the source's `expected_bucket_owner`,"
                " and must not be of the kind where the requester pays"
            )
        if reason == "not_found":
            return "the object or the bucket was deleted"
    if call.operation == "ListObjectsV2" and reason == "access_denied":
        return (
            "allow s3:ListBucket in the IAM policy of the exporter's identity and in the bucket's"
            " policy; the bucket must belong to the source's `expected_bucket_owner`"
        )
    return _ADVICE[reason].format(call)


def cut_off(error: BaseException | None) -> CutOffError | None:
    """The CutOffError in the error that botocore wraps around it, if any."""
    cause = error
    if not isinstance(error, CutOffError):
        cause = getattr(error, "kwargs", {}).get("error")
    return cause if isinstance(cause, CutOffError) else None


def _reason(error: BaseException, code: str, call: Call) -> str:
    if isinstance(error, botocore.ClientError):
        return code_reason(code, account_id=call.account_id)
    for reason, types in (
        ("expired_credentials", _EXPIRED),
        ("no_credentials", _NO_CREDENTIALS),
        ("unreachable", _UNREACHABLE),
        ("invalid_request", _INVALID),
    ):
        if isinstance(error, types):
            return reason
    return "error"


def _said(error: BaseException, code: str) -> str:
    if isinstance(error, botocore.ClientError):
        message = str(error.response.get("Error", {}).get("Message") or "")
    elif isinstance(error, ResponseParserError):
        message = "the answer is not from AWS"  # its own message contains the answer
    else:
        message = str(error)
    message = " ".join(message.split())
    if len(message) > _MESSAGE_LENGTH:
        message = message[:_MESSAGE_LENGTH] + "…"
    return f"{code} ({message.rstrip('.')})" if message else code
