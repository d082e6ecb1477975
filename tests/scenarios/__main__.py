"""Lists the scenarios, one a line."""

from tests.scenarios.scenario import scenarios

if __name__ == "__main__":
    for each in scenarios():
        print(f"{each.name:40}{each.summary}")
