package export

import (
	"encoding/base64"
	"reflect"
	"strings"
	"time"
)

// object is a JSON object.
type object = map[string]any

// leftOut are the members of the SDK's answers that are not copied: the SDK's own metadata, and the
// user data of launch templates, launch configurations and Spot requests. User data is no evidence,
// and people put passwords into it.
var leftOut = map[string]bool{"ResultMetadata": true, "UserData": true}

// encode returns an answer of the SDK as the AWS CLI prints it with --output json: the members
// under the names of AWS's API models, and only members that AWS sent. Times are in RFC 3339, in
// UTC.
//
// What the SDK cannot distinguish from a missing value is left out: an empty enumeration, and a
// number or a boolean that is no pointer and zero. Of the latter the answers in a copy have only
// the versions of parameters, which count from 1.
func encode(answer any) any {
	return encoded(reflect.ValueOf(answer), func(name string) string { return name })
}

// encodeLower is encode for the services whose members begin with a small letter.
func encodeLower(answer any) any {
	return encoded(reflect.ValueOf(answer), func(name string) string { return strings.ToLower(name[:1]) + name[1:] })
}

// encoded is encode with what the API models call a member.
func encoded(v reflect.Value, called func(string) string) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return encoded(v.Elem(), called)
	case reflect.Struct:
		if at, ok := reflect.TypeAssert[time.Time](v); ok {
			return at.UTC().Format(time.RFC3339Nano)
		}
		return members(v, called)
	case reflect.Map:
		o := object{}
		for key, value := range v.Seq2() {
			o[key.String()] = encoded(value, called)
		}
		return o
	case reflect.Slice:
		if bytes, ok := reflect.TypeAssert[[]byte](v); ok {
			return base64.StdEncoding.EncodeToString(bytes)
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = encoded(v.Index(i), called)
		}
		return list
	default:
		return v.Interface()
	}
}

// members are the members of a structure that AWS sent: an empty list was sent, and a nil one was
// not.
func members(v reflect.Value, called func(string) string) object {
	o := object{}
	for _, field := range reflect.VisibleFields(v.Type()) {
		if value := v.FieldByIndex(field.Index); field.IsExported() && !leftOut[field.Name] && !value.IsZero() {
			o[called(field.Name)] = encoded(value, called)
		}
	}
	return o
}
