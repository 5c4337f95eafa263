"""Sysmon's event log, in each form in which people have it."""

from harness.trace.sources.sysmon.events import SysmonTrace
from harness.trace.sources.sysmon.evtx import SysmonEvtx
from harness.trace.sources.sysmon.jsonlines import SysmonJson, claims_json
from harness.trace.sources.sysmon.xml import SysmonXml, claims_xml

__all__ = ["SysmonEvtx", "SysmonJson", "SysmonTrace", "SysmonXml", "claims_json", "claims_xml"]
