package emulator

import (
	"cmp"
	"net/http"
)

// schedulerService is the name of EventBridge Scheduler in a signature's scope.
const schedulerService = "scheduler"

// schedulerActions are the emulated actions of EventBridge Scheduler.
var schedulerActions = map[string]action{
	"GetSchedule": {getSchedule, []string{"Name", "groupName"}},
}

// schedulerRoutes say where its actions are found.
var schedulerRoutes = []route{{http.MethodGet, "/schedules/{Name}", "GetSchedule", http.StatusOK}}

// getSchedule shows a schedule of a group, the default one if none is named (EventBridge Scheduler
// API Reference, GetSchedule).
func getSchedule(c *call) (object, error) {
	const group = "default"
	for _, schedule := range c.region.items(schedulesFile) {
		if text(schedule, "Name") == c.text("Name") && cmp.Or(text(schedule, "GroupName"), group) == cmp.Or(c.text("groupName"), group) {
			return schedule, nil
		}
	}
	return nil, &Error{http.StatusNotFound, "ResourceNotFoundException", "Schedule " + c.text("Name") + " does not exist."}
}
