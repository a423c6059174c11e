"""What the commands tell about this machine."""

from cli.command import last_json


def test_devices_and_doctor_describe_this_machine(workbench):
    code, printed, _ = workbench("devices", "--json")
    assert code == 0
    assert last_json(printed)["devices"][-1]["name"] == "cpu"
    code, printed, _ = workbench("doctor", "--json")
    found = last_json(printed)
    assert code == (1 if found["problems"] else 0)
    assert {finding["subject"] for finding in found["findings"]} >= {"python", "torch"}
