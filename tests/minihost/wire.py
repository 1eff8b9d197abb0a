"""The messages a Functions host and its worker exchange, built at run time from a table.

They live in a descriptor pool of their own, so they never collide with protobuf types the app imports.

A line in a message block is `name=number`, then optionally a type (string when absent): `:type`,
`:[type]` repeated, `:{type}` map from string. `|oneof` in front names the oneof it belongs to.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2

PACKAGE = "AzureFunctionsRpcMessages"
SERVICE, METHOD = f"{PACKAGE}.FunctionRpc", "EventStream"

_ENUMS = """
StatusResult.Status: Failure=0 Success=1 Cancelled=2
RpcLog.Level: Trace=0 Debug=1 Information=2 Warning=3 Error=4 Critical=5 None=6
RpcLog.RpcLogCategory: User=0 System=1 CustomMetric=2
BindingInfo.Direction: in=0 out=1 inout=2
BindingInfo.DataType: undefined=0 string=1 binary=2 stream=3
RpcHttpCookie.SameSite: None=0 Lax=1 Strict=2 ExplicitNone=3
RpcRetryOptions.RetryStrategy: exponential_backoff=0 fixed_delay=1
"""

_MESSAGES = """
StreamingMessage
  request_id=1
  |content start_stream=20:StartStream
  |content worker_init_request=17:WorkerInitRequest
  |content worker_init_response=16:WorkerInitResponse
  |content functions_metadata_request=29:FunctionsMetadataRequest
  |content function_metadata_response=30:FunctionMetadataResponse
  |content function_load_request=8:FunctionLoadRequest
  |content function_load_response=9:FunctionLoadResponse
  |content invocation_request=4:InvocationRequest
  |content invocation_response=5:InvocationResponse
  |content rpc_log=2:RpcLog
StartStream
  worker_id=2
WorkerInitRequest
  host_version=1
  capabilities=2:{string}
  log_categories=3:{RpcLog.Level}
  worker_directory=4
  function_app_directory=5
WorkerInitResponse
  worker_version=1
  capabilities=2:{string}
  result=3:StatusResult
  worker_metadata=4:WorkerMetadata
WorkerMetadata
  runtime_name=1
  runtime_version=2
  worker_version=3
  worker_bitness=4
  custom_properties=5:{string}
StatusResult
  status=4:StatusResult.Status
  result=1
  exception=2:RpcException
  logs=3:[RpcLog]
RpcException
  source=3
  stack_trace=1
  message=2
  is_user_exception=4:bool
  type=5
RpcLog
  invocation_id=1
  category=2
  level=3:RpcLog.Level
  message=4
  event_id=5
  exception=6:RpcException
  properties=7
  log_category=8:RpcLog.RpcLogCategory
  propertiesMap=9:{TypedData}
FunctionsMetadataRequest
  function_app_directory=1
FunctionMetadataResponse
  function_metadata_results=1:[RpcFunctionMetadata]
  result=2:StatusResult
  use_default_metadata_indexing=3:bool
RpcFunctionMetadata
  name=4
  directory=1
  script_file=2
  entry_point=3
  bindings=6:{BindingInfo}
  is_proxy=7:bool
  status=8:StatusResult
  language=9
  raw_bindings=10:[string]
  function_id=13
  managed_dependency_enabled=14:bool
  retry_options=15:RpcRetryOptions
  properties=16:{string}
RpcRetryOptions
  max_retry_count=2:int32
  delay_interval=3:google.protobuf.Duration
  minimum_interval=4:google.protobuf.Duration
  maximum_interval=5:google.protobuf.Duration
  retry_strategy=6:RpcRetryOptions.RetryStrategy
BindingInfo
  type=2
  direction=3:BindingInfo.Direction
  data_type=4:BindingInfo.DataType
  properties=5:{string}
FunctionLoadRequest
  function_id=1
  metadata=2:RpcFunctionMetadata
  managed_dependency_enabled=3:bool
FunctionLoadResponse
  function_id=1
  result=2:StatusResult
  is_dependency_downloaded=3:bool
InvocationRequest
  invocation_id=1
  function_id=2
  input_data=3:[ParameterBinding]
  trigger_metadata=4:{TypedData}
  trace_context=5:RpcTraceContext
  retry_context=6:RetryContext
RpcTraceContext
  trace_parent=1
  trace_state=2
  attributes=3:{string}
RetryContext
  retry_count=1:int32
  max_retry_count=2:int32
  exception=3:RpcException
InvocationResponse
  invocation_id=1
  output_data=2:[ParameterBinding]
  return_value=4:TypedData
  result=3:StatusResult
ParameterBinding
  name=1
  |rpc_data data=2:TypedData
TypedData
  |data string=1
  |data json=2
  |data bytes=3:bytes
  |data stream=4:bytes
  |data http=5:RpcHttp
  |data int=6:sint64
  |data double=7:double
  |data collection_bytes=8:CollectionBytes
  |data collection_string=9:CollectionString
  |data collection_double=10:CollectionDouble
  |data collection_sint64=11:CollectionSInt64
CollectionString
  string=1:[string]
CollectionBytes
  bytes=1:[bytes]
CollectionDouble
  double=1:[double]
CollectionSInt64
  sint64=1:[sint64]
RpcHttp
  method=1
  url=2
  headers=3:{string}
  body=4:TypedData
  params=10:{string}
  status_code=12
  query=15:{string}
  enable_content_negotiation=16:bool
  rawBody=17:TypedData
  cookies=19:[RpcHttpCookie]
  nullable_headers=20:{NullableString}
  nullable_params=21:{NullableString}
  nullable_query=22:{NullableString}
RpcHttpCookie
  name=1
  value=2
  domain=3:NullableString
  path=4:NullableString
  expires=5:NullableTimestamp
  secure=6:NullableBool
  http_only=7:NullableBool
  same_site=8:RpcHttpCookie.SameSite
  max_age=9:NullableDouble
NullableString
  |string value=1
NullableDouble
  |double value=1:double
NullableBool
  |bool value=1:bool
NullableTimestamp
  |timestamp value=1:google.protobuf.Timestamp
"""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "sint64": _Field.TYPE_SINT64,
    "double": _Field.TYPE_DOUBLE,
}


def _set_type(field, text, enums):
    if text in _SCALARS:
        field.type = _SCALARS[text]
    else:
        field.type = _Field.TYPE_ENUM if text in enums else _Field.TYPE_MESSAGE
        field.type_name = f".{text}" if text.startswith("google.") else f".{PACKAGE}.{text}"


def _add_map(message, field, value_type, enums):
    """A map field is a repeated nested message with a key and a value."""
    name = "".join(part[:1].upper() + part[1:] for part in field.name.split("_")) + "Entry"
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    _set_type(entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL), "string", enums)
    _set_type(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), value_type, enums)
    field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{message.name}.{name}"


def _add_field(message, line, enums):
    oneof = None
    if line.startswith("|"):
        oneof, line = line[1:].split()
    name, _, rest = line.partition("=")
    number, _, kind = rest.partition(":")
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind.startswith("{"):
        _add_map(message, field, kind[1:-1], enums)
    elif kind.startswith("["):
        field.label = _Field.LABEL_REPEATED
        _set_type(field, kind[1:-1], enums)
    else:
        _set_type(field, kind or "string", enums)
    if oneof is not None:
        known = [declared.name for declared in message.oneof_decl]
        if oneof not in known:
            message.oneof_decl.add(name=oneof)
            known.append(oneof)
        field.oneof_index = known.index(oneof)


def _build():
    enums = dict(line.split(": ") for line in _ENUMS.strip().splitlines())
    file = descriptor_pb2.FileDescriptorProto(
        name="minihost/function_rpc.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/duration.proto", "google/protobuf/timestamp.proto"],
    )
    for line in _MESSAGES.strip().splitlines():
        if line.startswith(" "):
            _add_field(file.message_type[-1], line.strip(), enums)
            continue
        message = file.message_type.add(name=line)
        for enum, values in enums.items():
            if enum.startswith(f"{line}."):
                declared = message.enum_type.add(name=enum.partition(".")[2])
                for label, number in (value.split("=") for value in values.split()):
                    declared.value.add(name=label, number=int(number))
    pool = descriptor_pool.DescriptorPool()
    for module in (duration_pb2, timestamp_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    names = [message.name for message in file.message_type]
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{n}")) for n in names}


globals().update(_build())
